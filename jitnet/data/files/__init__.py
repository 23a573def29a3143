"""Files as tables: CSV, Parquet, NPZ, IDX and folders of pictures. `reading` detects the kind."""
