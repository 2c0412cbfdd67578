"""What iperf3 says of a transfer is read as it means it: by the receiver, and an error as an error."""

from __future__ import annotations

import json

import pytest

from fixtures.probes.bulk import TransferFailed, rate


def test_what_arrived_counts_and_not_what_was_sent() -> None:
    ends = {"sum_sent": {"bits_per_second": 9.6e9}, "sum_received": {"bits_per_second": 8e9}}
    assert rate(json.dumps({"start": {}, "end": ends})) == 1000


def test_a_transfer_that_failed_is_an_error() -> None:
    said = {"start": {}, "intervals": [], "end": {}, "error": "unable to connect to server: Connection refused"}
    with pytest.raises(TransferFailed, match="Connection refused"):
        rate(json.dumps(said))
