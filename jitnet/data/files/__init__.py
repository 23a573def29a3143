"""Files as tables.

reading.py         the way from a path to a table, for any kind of file
content.py         which kind it is, according to its first bytes; text as UTF-8

csv_file.py        CSV: from text to columns of numbers and text
csv_dialect.py     the separator, and where the table begins
csv_decimal.py     whether the point or the comma is decimal
csv_header.py      whether the first row is the header
csv_split.py       cells that an unquoted comma splits in two
csv_builder.py     a column, made from portions of its cells
csv_fast.py        the same tables of large files, by pyarrow; csv_arrow.py adds its columns to those of csv_builder.py

workbook.py        .xlsx, .xls and .ods, by calamine: each sheet becomes the text of a CSV
sheet.py           that text
sheet_decimal.py   the decimal sign of numbers that a sheet stores as text
sheet_xml.py       what calamine leaves out: formulas without results, hidden rows and columns

parquet.py         Parquet, by pyarrow
npz.py             arrays X and y of NumPy
idx.py             the files of MNIST
folder.py          a folder of images, one folder per class
"""
