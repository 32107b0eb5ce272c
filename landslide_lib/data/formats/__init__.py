"""Reading files: pictures, masks and boxes in the formats that people have, with one clear error for a bad one."""
