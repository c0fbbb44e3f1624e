

# Appended to the application: an import that Python 3.10 took away, as many an old code base has one.
from collections import Callable  # noqa: E402, F401
