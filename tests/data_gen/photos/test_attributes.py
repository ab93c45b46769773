"""Tables of attributes: which column has the file names, long cells, accents."""

import csv
import json

import pytest

from data_gen.photos.attributes import Row, read_table
from ground.endings import Mistake

LAYOUTS = {
    "csv": ",Kind,Path\n0,x,a.png\n1,y,b.png\n",
    "jsonl": '{"Kind": "x", "Path": "a.png"}\n{"Kind": "y", "Path": "b.png"}\n',
    "txt": "2\nKind Path\n0 x a.png\n1 y b.png\n",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_column_of_file_names_may_be_chosen(tmp_path, layout):
    path = tmp_path / f"t.{layout}"
    path.write_text(LAYOUTS[layout])
    first = {"csv": 2, "jsonl": 1, "txt": 3}[layout]
    expected = (Row("a.png", ("x",), first), Row("b.png", ("y",), first + 1))
    assert read_table(path, ("Kind",), "Path") == expected
    with pytest.raises(Mistake, match="world.file_column: .*has no column 'path' .did you mean"):
        read_table(path, ("Kind",), "path")
    if layout != "jsonl":
        assert [row.name for row in read_table(path, ("Kind",))] == ["0", "1"]


def test_long_cells_are_no_mistake_and_broken_ones_still_are(tmp_path):
    path, long = tmp_path / "t.csv", "x" * (csv.field_size_limit() + 1)
    path.write_text(f"file,Kind,Note\na.png,x,{long}\n")
    assert read_table(path, ("Kind", "Note"))[0].cells == ("x", long)
    assert csv.field_size_limit() < len(long)  # others' limit stays
    path.write_text('file,Kind\na.png,"x\n')
    with pytest.raises(Mistake, match="line 2: broken CSV"):
        read_table(path, ("Kind",))


def test_cells_and_columns_are_found_however_accents_are_composed(tmp_path):
    apart, whole = "e\u0301", "\u00e9"
    (tmp_path / "t.csv").write_text(f"file,{apart}\na.png,{apart}\n")
    (tmp_path / "t.jsonl").write_text(json.dumps({"file_name": "a.png", apart: apart}))
    for layout in ("csv", "jsonl"):
        for column in (apart, whole):
            (row,) = read_table(tmp_path / f"t.{layout}", (column,))
            assert row.cells == (whole,)
