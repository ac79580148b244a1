import math
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leyden.comparison.report.pictures import (
    Curve,
    Dot,
    Point,
    axis_of,
    cut,
    draw_curves,
    draw_interval,
    draw_parallel,
    draw_reliability,
    draw_slice,
)

FLOATS = st.floats(allow_nan=True, allow_infinity=True, width=32)


def texts(svg):
    return [each.text or "" for each in ET.fromstring(svg).iter("text")]


@given(values=st.lists(FLOATS, min_size=1), may_be_log=st.booleans())
def test_axes_hold_all_values_and_a_few_ticks(values, may_be_log):
    axis = axis_of(values, start=300, end=0, may_be_log=may_be_log)
    finite = [value for value in values if math.isfinite(value)]
    if axis is None:
        assert not finite
        return
    assert all(-1 <= axis(value) <= 301 for value in finite)
    ticks = axis.ticks()
    assert len(ticks) <= 12
    assert all(-1 <= axis(tick) <= 301 for tick in ticks)


@given(st.lists(st.tuples(FLOATS, FLOATS)), st.lists(st.text()))
def test_pictures_of_any_values_are_well_formed(points, names):
    label = "".join(names)
    pictures = [
        draw_curves([Curve(points=points, label=label)], name=label),
        draw_slice([Dot(x=x, y=y, label=label) for x, y in points], name=label),
        draw_slice([Dot(x=name, y=1.0, label=name) for name in names], name=label),
    ]
    if points:
        lines = [Point(values=point, label=label, shade=0) for point in points]
        pictures.append(draw_parallel([label, "y"], lines))
    for svg in filter(None, pictures):
        assert ET.fromstring(svg).tag == "svg"


def test_rates_are_drawn_on_a_logarithmic_axis():
    svg = draw_slice([Dot(x=10.0**k, y=k, label="") for k in range(-4, 0)], name="lr")
    places = [float(each.get("cx")) for each in ET.fromstring(svg).iter("circle")]
    assert places[1] - places[0] == pytest.approx(places[2] - places[1], abs=0.2)
    assert "0.001" in texts(svg)


def test_categories_of_any_script_are_shown_as_text():
    names = ["漢字の分類", "한국어", "عربي", "cat"]
    svg = draw_slice([Dot(x=name, y=1.0, label=name) for name in names], name="kind")
    assert set(names) <= set(texts(svg))


def test_long_names_are_cut_by_their_width_and_shown_whole_to_the_pointer():
    assert cut("漢" * 20) == "漢" * 8 + "…"
    svg = draw_slice([Dot(x="a" * 50, y=1.0, label="")], name="kind")
    assert "a" * 50 in [each.text for each in ET.fromstring(svg).iter("title")]


def test_long_histories_are_thinned():
    points = [(float(x), float(x)) for x in range(100_000)]
    assert len(draw_curves([Curve(points=points, label="")], name="loss")) < 10_000


def test_an_interval_that_is_longer_than_the_axis_is_cut():
    axis = axis_of([1.0, 2.0], start=6, end=114)
    svg = draw_interval(1.5, -100, 100, axis, tone="best")
    bar = next(each for each in ET.fromstring(svg).iter("line") if "bar" in each.get("class"))
    assert (float(bar.get("x1")), float(bar.get("x2"))) == (0, 120)


def test_reliability_without_bins():
    assert draw_reliability([], name="") is None
