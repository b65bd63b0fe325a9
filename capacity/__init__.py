"""How much it takes to answer so many requests: what a request costs, a model made of that, and what it was held to."""
