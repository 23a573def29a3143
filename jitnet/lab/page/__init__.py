"""The page of the report: its templates, and where things stand in its pictures."""
