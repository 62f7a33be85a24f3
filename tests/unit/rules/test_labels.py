"""Which labels are indexed."""

from ecru.rules.labels import LABELS_PER_IMAGE, Label, select_indexed


def test_short_annotations_and_labels_are_indexed() -> None:
    chosen, left_out = select_indexed({"a": "1"}, {"a": "2"})

    assert chosen == [Label("annotation", "a", "1"), Label("label", "a", "2")]
    assert left_out == 0


def test_long_names_and_values_are_left_out_by_their_bytes() -> None:
    chosen, left_out = select_indexed({"n" * 257: "v", "v": "x" * 513, "wide": "𝄞" * 129, "fits": "𝄞" * 128}, {})

    assert [label.name for label in chosen] == ["fits"]
    assert left_out == 3


def test_no_image_fills_the_index() -> None:
    chosen, left_out = select_indexed({str(number): "" for number in range(LABELS_PER_IMAGE + 5)}, {"label": "x"})

    assert (len(chosen), left_out) == (LABELS_PER_IMAGE, 6)
