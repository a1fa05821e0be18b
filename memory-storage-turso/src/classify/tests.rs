//! Golden texts: each was taken from libsql 0.10.0 against sqld 0.24.
