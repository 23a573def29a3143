"""Which sheet of a workbook is read, and where its table is: titles above the header, and merged cells."""

import pytest
from workbook_files import xlsx

import jitnet
from jitnet.data import read_table
from jitnet.data.files import sheet, sheet_xml, workbook

openpyxl = pytest.importorskip("openpyxl")
pytest.importorskip("python_calamine")

QUICK = ("--backend", "numpy", "--hidden", "8", "--epochs", "3")


def test_the_sheet_is_chosen_by_name(run, tmp_path):
    small, other = ([["a", "b"], *([i, word] for i in range(20) for word in words)] for words in ("xy", "zw"))
    book = xlsx(tmp_path / "f.xlsx", Empty=[], Prices=small, hidden_List=other, Old=other, Notes=[["see Old"]])
    table = read_table(book, "b")
    note = "3 sheets have values; the first, 'Prices', is read; the others are Old, Notes (--sheet NAME)"
    assert (table.notes, table.source, table["b"].values[0]) == ([note], f"{book}, sheet 'Prices'", "x")
    for name in ("Old", "List"):
        table = read_table(book, "b", sheet=name)
        assert (table.notes, table["b"].values[0]) == ([], "z")
    assert read_table(xlsx(tmp_path / "g.xlsx", Empty=[], Data=small, hidden_List=other), "b").notes == []
    assert read_table(xlsx(tmp_path / "g.xlsx", Empty=[], hidden_List=other), "b")["b"].values[0] == "z"
    for sheet_name, message in (
        ("prices", r"f.xlsx has no sheet 'prices'; its sheets: Empty, Prices, List, Old, Notes \(did you mean 'Pri"),
        ("Empty", "f.xlsx, sheet 'Empty' is empty; its sheets: Empty, Prices"),
    ):  # fmt: skip
        with pytest.raises(jitnet.Error, match=message):
            read_table(book, "b", sheet=sheet_name)
    charts = openpyxl.load_workbook(book)
    charts.create_chartsheet("Chart", 0)
    charts.save(tmp_path / "g.xlsx")
    assert read_table(tmp_path / "g.xlsx", "b").notes == [note]
    with pytest.raises(jitnet.Error, match="has no sheet 'Chart'; its sheets: Empty, Prices"):
        read_table(tmp_path / "g.xlsx", "b", sheet="Chart")
    with pytest.raises(
        jitnet.Error, match=r"has no column 'price'; .*; the first, 'Prices', is read; .* \(--sheet NAME\)$"
    ):
        read_table(book, "price")
    run("train", book, "--target", "b", "--sheet", "Old", "--save", "m.npz", *QUICK)
    assert note in run("predict", "m.npz", book, "--backend", "numpy").err
    said = run("predict", "m.npz", book, "--sheet", "Old", "--backend", "numpy")
    assert "--sheet" not in said.err
    assert set(said.out.split()) <= {"z", "w"}


def test_other_sheets_that_have_the_columns_are_named(run, tmp_path):
    """A list of the columns comes first, as in many workbooks."""
    table = [["size", "rooms", "city", "price"], *([i, i % 3, "uv"[i % 2], 2 * i] for i in range(20))]
    legend = [["Column", "Meaning"], *([name, f"the {name}"] for name in table[0])]
    wide = [[], *(["", *row] for row in table)]
    book = xlsx(tmp_path / "f.xlsx", Legend=legend, **{"of 2022": table, "2023": wide, "2024": table, "Notes": legend})
    said = (
        "'Legend' has no column 'price'; the sheet 'of 2022' has it: add --sheet 'of 2022' (2023 and 2024 have it too)"
    )
    assert run("train", book, "--target", "price", status=2).err.strip().endswith(said)
    assert read_table(book, "price", sheet=2023).source == f"{book}, sheet '2023'"
    with pytest.raises(jitnet.Error, match=r"add --sheet B$"):
        read_table(xlsx(tmp_path / "g.xlsx", A=legend, B=table), "price")
    with pytest.raises(jitnet.Error, match=r"add --sheet=-2$"):  # not an option
        read_table(xlsx(tmp_path / "g.xlsx", A=legend, **{"-2": table}), "price")
    with pytest.raises(jitnet.Error, match=r"'Legend' has no column 'cost'; its columns: Column, Meaning"):
        read_table(book, "cost")
    with pytest.raises(jitnet.Error, match=r"'Legend' has no column 'price'; its columns"):
        read_table(book, "price", sheet="Legend")
    options = ("--task", "regression", "--save", "m.npz", *QUICK)
    assert "sheets have values" not in run("train", book, "--sheet", "2024", "--target", "price", *options).err
    new = xlsx(tmp_path / "g.xlsx", Legend=legend, **{"2025": [row[:-1] for row in table], "2026": table})
    said = "'Legend' lacks the columns size, rooms, city; the sheet '2025' has them: add --sheet 2025 (2026 has them "
    said += "too)"
    assert run("predict", "m.npz", new, status=2).err.strip().endswith(said)
    assert len(run("predict", "m.npz", new, "--sheet", "2025", "--backend", "numpy").out.split()) == 20


def test_titles_above_the_table_are_pointed_out(tmp_path):
    table = [["a", "b", "c"], *([i, i / 2, "uv"[i % 2]] for i in range(9))]
    book = xlsx(tmp_path / "f.xlsx", Data=[[], ["Houses of May"], [], *table])
    for how in ({}, {"target": "d"}, {"features": ["d"]}, {"learned": (["d", "e"], True)}):
        with pytest.raises(
            jitnet.Error,
            match=r"f.xlsx, sheet 'Data', row 2 has 1 cell, 'Houses of May', but most rows have more; if it is a title",
        ):
            read_table(book, **how)
    for how in ({"target": " c"}, {"features": ["a"]}, {"learned": (["a", "b", "d"], True)}):
        with pytest.raises(jitnet.Error, match=r"'Data', row 4 has the names of the columns: delete rows 1 to 3$"):
            read_table(book, **how)
    with pytest.raises(jitnet.Error, match=r"row 2 has the names of the columns: delete row 1$"):
        read_table(xlsx(tmp_path / "f.xlsx", Data=[["Houses", 2024], *table]), "c")
    assert read_table(xlsx(tmp_path / "f.xlsx", Data=[["# May"], [], *table]), "c").names == ["a", "b", "c"]
    # a list of columns is no header, nor is a row of the table with the name of a column
    with pytest.raises(jitnet.Error, match=r"'Data' has no column 'c'; its columns: name, meaning"):
        read_table(xlsx(tmp_path / "f.xlsx", Data=[["name", "meaning"], *([one, f"{one}?"] for one in "abc")]), "c")
    turned = xlsx(tmp_path / "f.xlsx", Data=[["Houses"], ["c", 1, 2, 3], ["d", 2, 4, 6], ["e", 3, 1, 2]])
    with pytest.raises(jitnet.Error, match=r"row 1 has 1 cell, 'Houses'"):
        read_table(turned, "c")
    words = xlsx(tmp_path / "f.xlsx", Data=[[None, "b"], ["a", "b"], ["c", "d"]])
    assert read_table(words, "b").lines.tolist() == [2, 3]
    # pandas writes no name above the index; a first row of data can have gaps
    assert read_table(xlsx(tmp_path / "f.xlsx", Data=[[None, "b"], [0, "u"], [1, "v"]]), "b").names == ["", "b"]
    gaps = xlsx(tmp_path / "f.xlsx", Data=[["u", None], *(["v", i] for i in range(5))])
    assert len(read_table(gaps, "1", header=False)) == 6
    assert len(read_table(gaps, "1", learned=(["1", "2"], False))) == 6


def test_merged_cells_are_an_error(tmp_path):
    path = xlsx(tmp_path / "f.xlsx", Data=[["a", "b", "c"], *([i, "u", 1] for i in range(30))])
    book = openpyxl.load_workbook(path)
    book.active.merge_cells("AA7:AB8")  # beside the table
    book.save(path)
    assert len(read_table(path, "b")) == 30
    for areas, message in (
        (
            ["B10:B12"],
            "the cells B10:B12 are merged, and only the first has a value; unmerge them, and fill in the oth",
        ),
        (
            ["A2:A3", "A5:A7"],
            "2 areas are merged, the first A2:A3, and only the first cell of each has a value; unmerge",
        ),
        (
            ["A1:B1"],
            "the cells A1:B1 .*; if these are titles above the names of the columns, delete row 1; otherwise un",
        ),
        (
            ["A31:B31"],
            "the cells A31:B31 .*; if it is a note, delete the row; otherwise unmerge them, and fill in the o",
        ),
    ):
        for area in areas:
            book.active.merge_cells(area)
        book.save(path)
        with pytest.raises(jitnet.Error, match=f"sheet 'Data': {message}"):
            read_table(path, "no name")
        for area in areas:
            book.active.unmerge_cells(area)
    book.active.merge_cells("A1:B1")
    book.active.insert_rows(2)
    book.active["A2"], book.active["B2"], book.active["C2"] = "abd"
    book.save(path)
    with pytest.raises(jitnet.Error, match=r"row 2 has the names of the columns: delete row 1$"):
        read_table(path, "d")
    assert [sheet.place(row, column) for row, column in ((0, 25), (1, 26), (2, 701), (3, 702))] == [
        "Z1", "AA2", "ZZ3", "AAA4"
    ]  # fmt: skip


def test_formulas_without_results_are_pointed_out(run, tmp_path):
    """openpyxl writes them; Excel stores a result, which can be an empty text."""
    rows = [["a", "b", "c"], *([i, f"=A{i + 2}*2", "uv"[i % 2]] for i in range(20))]
    path = xlsx(tmp_path / "f.xlsx", Notes=[["=1+1", "x"], ["y", "z"]], Data=rows)
    resave = "open the workbook in Excel or LibreOffice, save it, and run again"
    note = f"20 cells have formulas without stored results, the first is B2: {resave}"
    table = read_table(path, "c", sheet="Data")
    assert (table.notes, table.guesses) == ([note], [note])
    for how in ({"target": "b"}, {"features": ["a", "b"]}, {"learned": (["a", "b"], True)}):
        with pytest.raises(
            jitnet.Error, match=f"'Data': the formulas of the column 'b' have no stored results; {resave}"
        ):
            read_table(path, sheet="Data", **how)
    book = openpyxl.load_workbook(path)
    for i in range(2, 22):
        book["Data"].cell(i, 2).value = i
    book["Data"].append(["Sum", "=SUM(B2:B21)", "u"])
    book.save(path)
    note = f"1 cell has a formula without a stored result, it is B22: {resave}"
    assert read_table(path, "b", sheet="Data").notes == [note]
    stored = b'<c r="A1" s="1"><f t="shared" si="0">B1</f><v>3</v></c><c r="B1" t="str"><f>""</f><v></v></c>'
    none = b'<c r="C1" s="2"><f t="shared" ref="C1:C9" si="0">B1*2</f><v/></c><c r="AD1"><f t="shared" si="0"/></c>'
    assert sheet_xml.besides_values(stored + none).formulas == ["C1", "AD1"]
    assert sheet_xml.besides_values(none.replace(b'r="C1" s="2"', b's="2" r="C1"')).formulas == ["C1", "AD1"]
    prefixed = none.replace(b"<", b"<x:").replace(b"<x:/", b"</x:")
    assert sheet_xml.besides_values(b"<x:worksheet>" + prefixed).formulas == ["C1", "AD1"]


def test_damaged_sheets_are_examined_in_linear_time():
    for part in (b'<row hidden="', b'<col hidden="1" ', b'<c r="A2"><f ', b'<c r="A2" ', b'<c r="A2"><f/>'):
        xml = part * 100_000 + b" " * 500_000 + b'hidden="1"'
        assert not sheet_xml.besides_values(xml).formulas


@pytest.mark.parametrize(
    ("xml", "extent"),
    [
        (b'<row r="12"><c r="B12"/></row><row r="2000000"><c r="A2000000"/></row><row r="9"/>', (2000000, 26)),
        (b"<row r='1048576'><c r='XFD1048576'/></row>", (1048576, 16384)),
        (b'<c r="A99999999999"/><c r="A1"/>', (99999999999, 26)), (b'<c r="A7"/>', (10, 26)), (b"", (10, 26)),
    ],
)  # fmt: skip
def test_cells_far_from_the_table_are_found_in_any_order(xml, extent):
    assert workbook._extent(xml, 2**20) == extent


def test_hidden_rows_and_columns_are_read_with_a_note(tmp_path):
    path = xlsx(tmp_path / "f.xlsx", Data=[["a", "b", "c"], *([i, i / 2, "uv"[i % 2]] for i in range(20))])
    book = openpyxl.load_workbook(path)
    for row in (7, 9, 40):
        book.active.row_dimensions[row].hidden = True
    for column in ("B", "F"):
        book.active.column_dimensions[column].hidden = True
    book.save(path)
    table = read_table(path, "c")
    assert table.notes == [
        "2 hidden rows are read too; the first is row 7",
        "hidden columns are read too; the first is B",
    ]
    assert (table.guesses, len(table), table.names) == ([], 20, ["a", "b", "c"])
    book.active.column_dimensions["B"].hidden = False
    book.save(path)
    assert read_table(path, "c").notes == table.notes[:1]


def test_lines_of_a_sheet_are_called_rows(tmp_path):
    rows = [["# May"], ["a", "b"], [1, "u"], [2, "v"], [], [3, "u"], [None, " "], [None, " "]]
    notes = read_table(xlsx(tmp_path / "f.xlsx", Data=rows), "b").notes
    assert notes == [
        "the rows before row 2 begin with # and are skipped",
        "the empty rows at the end, from row 7 on, are skipped",
    ]
