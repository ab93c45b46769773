"""What prompts ask for, and what is written of their images."""

import numpy as np
import pytest
from PIL import Image

from ground.endings import Mistake
from studies.drawing.generate import Drawn, Reading, records, summary
from studies.drawing.pictures import FASTEST_MS, LAST_MS, film, save_film, sheet
from studies.experiment.config import EvaluateConfig
from studies.worlds.asked import Asked, what_is_asked

PROMPTS = ["a red circle AND NOT a small circle:0.5", "a blue square"]


def values(shape, color, size):
    return {"shape": shape, "color": color, "size": size}


@pytest.mark.parametrize(
    "prompt, seen, right",
    [
        ("a red circle", values("circle", "red", "small"), True),
        ("a red circle", values("square", "red", "small"), False),
        (PROMPTS[0], values("circle", "red", "large"), True),
        (PROMPTS[0], values("circle", "red", "small"), False),
        ("red AND small", values("square", "red", "small"), True),
        ("red AND small", values("square", "red", "large"), False),
        ("red AND blue", values("square", "red", "large"), False),
        ("red:0 AND small", values("square", "blue", "small"), True),
        ("NOT red", values("square", "blue", "small"), True),
    ],
)
def test_every_term_must_be_seen_and_no_not(tiny_world, prompt, seen, right):
    assert what_is_asked(tiny_world, prompt).is_seen_in(seen) == right


def test_every_term_is_read(tiny_world):
    asked = what_is_asked(tiny_world, PROMPTS[0])
    circle = {"shape": "circle"}
    assert asked == Asked(({**circle, "color": "red"},), ({**circle, "size": "small"},))
    with pytest.raises(Mistake, match="prompt 'a rod circle': unknown word 'rod'"):
        what_is_asked(tiny_world, "small AND NOT a rod circle:0")


def drawn(step=8, count=3, level=0):
    """Images of one grey each, (prompts, count, 4, 4, 3); red circles, the last of them small."""
    grey = level + np.arange(2 * count, dtype=np.uint8).reshape(2, count, 1, 1, 1)
    asked = {PROMPTS[0]: Asked(({"color": "red"},), ({"size": "small"},)), PROMPTS[1]: Asked(())}
    readings = [
        Reading(
            prompt,
            {"color": {"red": 0.75, "blue": 0.25}, "size": {"large": 1 - k / 4, "small": k / 4}},
            asked[prompt],
            unsure=False,
        )
        for prompt in PROMPTS
        for k in range(1, count + 1)
    ]
    oracle = [{"color": "red", "size": None}] * (2 * count)
    return Drawn(step, np.broadcast_to(grey, (2, count, 4, 4, 3)), readings, oracle)


def test_a_record_says_all_of_an_image():
    settings = EvaluateConfig(sampler="heun", guidance_scale=2.0, seed=7)
    found = records(drawn(), PROMPTS, settings)
    assert [(record["prompt"], record["index"]) for record in found] == [
        (prompt, k) for prompt in PROMPTS for k in range(3)
    ]
    assert found[2] == {
        "prompt": PROMPTS[0],
        "terms": [
            {"prompt": "a red circle", "weight": 1.0},
            {"prompt": "a small circle", "weight": -0.5},
        ],
        "step": 8,
        "weights": "ema",
        "sampler": "heun",
        "num_inference_steps": 20,
        "guidance_scale": 2.0,
        "seed": 7,
        "index": 2,
        "readings": {
            "probe": {
                "as_asked": False,
                "unsure": False,
                "concepts": {
                    "color": {"value": "red", "probabilities": {"red": 0.75, "blue": 0.25}},
                    "size": {"value": "small", "probabilities": {"large": 0.25, "small": 0.75}},
                },
            },
            "oracle": {"color": "red", "size": None},
        },
    }
    bare = Drawn(8, drawn().images, [], drawn().oracle)
    assert records(bare, PROMPTS, settings)[0]["readings"].keys() == {"oracle"}
    assert summary(drawn()) == "step_00000008: 5 of 6 as asked"


def test_what_is_unsure_is_not_as_asked():
    reading = Reading(PROMPTS[1], {"color": {"red": 1.0}}, Asked(()), unsure=True)
    assert not reading.right
    assert reading.line().endswith("color red (1.00)  <- unsure: no scene")


LINE = 76  # of a sheet: a cell and its gap; 12 are its margin


def greys(picture, rows, columns):
    """Of the middle of every cell of a sheet, from its lower right corner, where images end."""
    x = [picture.width - 12 - LINE * (columns - j) + 36 for j in range(columns)]
    y = [picture.height - 12 - LINE * (rows - i) + 36 for i in range(rows)]
    return [[picture.getpixel((u, v))[0] for u in x] for v in y]


def test_a_sheet_has_a_row_per_prompt_or_per_snapshot():
    one = sheet([drawn(level=40)], PROMPTS, "a title")
    assert greys(one, 2, 3) == [[40, 41, 42], [43, 44, 45]]
    two = sheet([drawn(0, level=40), drawn(8, level=50)], PROMPTS, "a title")
    assert [row[0] for row in greys(two, 4, 3)] == [40, 50, 43, 53]
    assert two.height - one.height == 2 * LINE
    long = sheet([drawn(count=20)], PROMPTS, "a title")  # 16 and 4 of each
    assert long.height == two.height and long.width - one.width == 13 * LINE
    assert greys(long, 4, 16)[3][:5] == [36, 37, 38, 39, 255]


def test_a_film_has_a_frame_per_snapshot_and_stays_at_the_last(tmp_path):
    steps = [0, 8, 1234567]
    frames = film([drawn(step, count=1) for step in steps], PROMPTS, "a title " * 9)
    assert len({frame.size for frame in frames}) == 1
    assert not np.array_equal(np.asarray(frames[0]), np.asarray(frames[1]))  # the step is written
    save_film(tmp_path / "film.gif", frames)
    gif = Image.open(tmp_path / "film.gif")
    durations = []
    for i in range(gif.n_frames):
        gif.seek(i)
        durations.append(gif.info["duration"])
    assert durations == [600, 600, LAST_MS] and gif.info["loop"] == 0
    assert FASTEST_MS >= 100  # faster ones are slowed down by browsers
