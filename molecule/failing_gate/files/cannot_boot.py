# Appended to the application: an import that Python 3.10 took away.
from collections import Callable  # noqa: E402, F401, UP035
