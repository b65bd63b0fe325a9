"""How much hardware a load takes: costs of requests, formulas made of them, and what these are checked against."""
