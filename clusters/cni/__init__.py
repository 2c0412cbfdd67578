"""One file is one CNI: a module here offers its `CNI` object and is found by listing this folder."""
