"""Where bytes come from: files of tables, folders, downloads and archives."""
