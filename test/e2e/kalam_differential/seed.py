"""Which statements the differential tests run."""

import os
import random


def chosen_seed():
    seed = os.environ.get("KALAM_DIFFERENTIAL_SEED", "1")
    return random.SystemRandom().randrange(1 << 31) if seed == "random" else int(seed)


SEED = chosen_seed()
