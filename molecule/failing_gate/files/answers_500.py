# Appended to the application: healthy where it is tried before the switch, broken where it serves.
import sys  # noqa: E402


@app.before_request  # noqa: F821
def broken():
    serves = request.environ["SERVER_PORT"] == "8000"  # noqa: F821
    return ("the new Python broke it", 500) if serves and sys.version_info >= (3, 11) else None
