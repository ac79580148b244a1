"""Sources of data: tables, folders, downloads and archives."""
