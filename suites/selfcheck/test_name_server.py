"""The labs' DNS server answers what it knows, denies the rest, and says who asked."""

from __future__ import annotations

import dns.message
import dns.rcode
import pytest

from fixtures.lab.zone import reply_to

RECORDS = {"web.example": "203.0.113.80"}


def asked(name: str, record: str = "A") -> dns.message.Message:
    """What it answers."""
    data = reply_to(dns.message.make_query(name, record).to_wire(), "192.0.2.1", RECORDS)
    assert data is not None
    return dns.message.from_wire(data)


def test_a_known_name_has_its_address() -> None:
    assert [str(record) for rrset in asked("WEB.example.").answer for record in rrset] == ["203.0.113.80"]


@pytest.mark.parametrize(("record", "code"), [("A", dns.rcode.NOERROR), ("AAAA", dns.rcode.NOERROR)])
def test_a_known_name_without_such_a_record_exists(record: str, code: dns.rcode.Rcode) -> None:
    assert asked("web.example", record).rcode() is code
    assert bool(asked("web.example", record).answer) is (record == "A")


def test_any_other_name_does_not_exist() -> None:
    assert asked("web").rcode() is dns.rcode.NXDOMAIN


def test_it_says_who_asked_for_what(capsys: pytest.CaptureFixture[str]) -> None:
    asked("web.example", "AAAA")
    assert capsys.readouterr().out == '{"asker": "192.0.2.1", "name": "web.example", "record": "AAAA"}\n'


def test_an_answer_or_noise_is_no_question() -> None:
    assert reply_to(asked("web").to_wire(), "192.0.2.1", RECORDS) is None
    assert reply_to(b"noise", "192.0.2.1", RECORDS) is None
