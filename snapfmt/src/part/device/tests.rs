//! Records as fields and whole, part by part.
