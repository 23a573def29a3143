"""Files as tables: CSV, workbooks, Parquet, NPZ, IDX and folders of pictures. `reading` detects the kind."""
