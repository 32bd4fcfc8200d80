"""The lineage graph: what is drawn."""

import xml.etree.ElementTree as ElementTree

from dashboard_places import ATTACK

from graft.monitoring.dashboard import lineage_graph


def stage(number: int, name: str = "stage") -> dict:
    return {"stage": f"{name} {number}", "execution": number, "artifacts": {"made": "/a"}}


def test_no_rail_lies_on_another():
    links = [(1, "a", 2), (1, "a", 6), (2, "b", 3), (2, "b", 5), (3, "c", 4), (4, "d", 5), (5, "e", 6), (2, "b", 2)]
    rails = lineage_graph._rails({number: number for number in range(1, 7)}, links)
    lanes = lineage_graph._lanes(rails)
    for one, lane in zip(rails, lanes, strict=True):
        for other, beside in zip(rails, lanes, strict=True):
            assert one is other or lane != beside or lineage_graph._apart(one, other)
    assert max(lanes) + 1 < len(rails)  # some share a lane


def test_a_graph_has_a_row_for_each_stage_and_leaves_out_what_is_not_in_it():
    drawn = lineage_graph.draw([stage(7, ATTACK), stage(8)], [(7, "made", 8), (9, "made", 8), (8, "back", 7)])
    root = ElementTree.fromstring(drawn)
    assert "<script" not in drawn and len(list(root.iter("circle"))) == 2
    assert [title.text for title in root.iter("title")] == [f"made of {ATTACK} 7 to stage 8"]
    assert "<path" not in lineage_graph.draw([stage(7)], [])
