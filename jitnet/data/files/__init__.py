"""Files as tables: CSV, Parquet, NPZ, IDX and folders of pictures. `reading` finds out which it is."""
