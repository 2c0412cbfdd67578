"""One parent carries one macvlan network; since Docker 27 it may carry several, unless one wants it for itself.

    red, Docker host                                           switch
      one 192.0.2.11, two 192.0.2.12 ┬ macvlan `flat`          │
                                     ┴ card0 ══════════════════╪═ eth0 192.0.2.21 peer
      macvlan `second` on card0: ‹second›
      macvlan `elsewhere` on card1: ‹elsewhere›

A refusal has to name the parent, and must leave nothing behind: neither a network nor a hole in the first one. It
fails where a release is looser or stricter than the table of behaviours says, or forgets who has the card.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from docker.errors import APIError

from fixtures.engines.behaviour import Behaviour, expected
from fixtures.probes.plan import between
from fixtures.probes.promises import without_nat
from fixtures.probes.runner import Prober
from fixtures.probes.ways import ping, tcp
from fixtures.proof import Proof
from fixtures.verdicts.judge import judge
from fixtures.workloads.lab import Lab
from fixtures.workloads.segment import NETWORK, PARENT, Segment, segment

pytestmark = [pytest.mark.claim("MVL-3"), pytest.mark.needs("macvlan")]
