"""A switch's ports are in their VLANs, tagged or not, whatever the switch is made of."""

from __future__ import annotations

from fixtures.lab.switch import Making, SwitchPort, base, wiring


def port(*vlans: int, tagged: bool = False) -> SwitchPort:
    return SwitchPort(None, "p1", vlans=vlans, tagged=tagged)  # type: ignore[arg-type]


def test_a_filtering_bridge_knows_no_vlan_by_itself() -> None:
    assert "vlan_default_pvid 0" in base(Making.FILTERING)[0]
    assert base(Making.BRIDGES) == []


def test_a_trunk_of_a_filtering_bridge_keeps_tags() -> None:
    links, vlans = wiring(Making.FILTERING, port(10, 20, tagged=True), [])
    assert links == ["link set dev p1 up", "link set dev p1 master br0"]
    assert vlans == ["vlan add dev p1 vid 10", "vlan add dev p1 vid 20"]


def test_an_access_port_of_a_filtering_bridge_tags_inside_alone() -> None:
    assert wiring(Making.FILTERING, port(10), [])[1] == ["vlan add dev p1 vid 10 pvid untagged"]


def test_a_trunk_enters_each_bridge_by_a_sub_interface() -> None:
    links, vlans = wiring(Making.BRIDGES, port(10, 20, tagged=True), [10])
    assert vlans == []
    assert "link add link p1 name p1.20 type vlan id 20" in links
    assert "link set dev p1.10 master br10" in links
    assert "link set dev p1 master br10" not in links
    assert [line for line in links if "type bridge" in line] == ["link add name br20 type bridge mcast_snooping 0"]


def test_an_access_port_enters_its_bridge_itself() -> None:
    links, _ = wiring(Making.BRIDGES, port(10), [10])
    assert links == ["link set dev p1 up", "link set dev p1 master br10"]
