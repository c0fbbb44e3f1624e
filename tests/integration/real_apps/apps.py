"""Applications from the package index, each in a shape in which people run it.

========================================  ====================================================
shape                                     application
========================================  ====================================================
workers that come and go (max_requests)   httpbin: 50 with a jitter of 25
access log and error log in one file      httpbin
an error log of gunicorn's own, apart     isso
preload_app                               isso (configuration file), dash (``--preload``)
hooks in gunicorn.conf.py                 isso
a configuration file named relative       isso
a short timeout                           pypiserver: 5 s
an application that is a call             pypiserver
a home with a blank in its name           pypiserver
an ini file (``--paste``)                 kinto
migrates its database when imported       ihatemoney
compiled packages over a change of Python dash, with pandas and numpy
Django behind ALLOWED_HOSTS, ``--chdir``  wagtail
health page that wants a Host header      wagtail
health page that answers 302              pgadmin4
a user of its own                         wagtail
caps gunicorn                             mlflow 2.9: ``gunicorn<22`` (``test_plan.py``)
a file of the operator's in the venv      pgadmin4: ``config_local.py``
started inside the virtualenv             pgadmin4
threads (gthread)                         pgadmin4
an API under uvicorn's workers            fastapi
those of the package uvicorn-worker       starlette
gevent's workers                          gevent
TLS to the server                         gevent
a second program on the same virtualenv   gevent
two fleets behind one balancer            fastapi and pypiserver (``test_neighbours.py``)
========================================  ====================================================

The first stages keep the Python, the last one changes it, but where an application says otherwise.
"""

from __future__ import annotations

from tests.integration.real_apps.bed import App

COMMAND = "{venv}/bin/gunicorn -b {address}:{port} -w 2 "
HTTPBIN = App(
    # Workers that come and go, and one file for the access log and the error log.
    "httpbin",
    ["httpbin"],
    COMMAND + "--max-requests 50 --max-requests-jitter 25"
    " --access-logfile - --error-logfile - httpbin:app",
    python="3.9",
    ask="/get",
    health="/status/200",
)

HTTPBIN_ON_A_SOCKET = HTTPBIN._replace(
    # As most have it, with the balancer on the same host.
    name="socket",
    command="{venv}/bin/gunicorn -w 2 -b unix:{home}/app.sock --log-level info httpbin:app",
    socket="{home}/app.sock",
)

IHATEMONEY = App(
    # A database that it migrates while it is imported.
    "ihatemoney",
    ["ihatemoney"],
    COMMAND + "ihatemoney.wsgi:application",
    files={
        "ihatemoney.cfg": "DEBUG = False\nSECRET_KEY = 'x'\nADMIN_PASSWORD = ''\n"
        "SQLALCHEMY_DATABASE_URI = 'sqlite:///{home}/ihatemoney.db'\n"
        "MAIL_DEFAULT_SENDER = ('x', 'x@example.org')\nACTIVATE_DEMO_PROJECT = False\n"
    },
    prepare=['{venv}/bin/python -c "import ihatemoney.wsgi"'],
    environment={"IHATEMONEY_SETTINGS_FILE_PATH": "{home}/ihatemoney.cfg"},
)

ISSO = App(
    # preload_app, and hooks in the configuration file, which is named relative to the directory.
    "isso",
    ["isso"],
    "{venv}/bin/gunicorn -c conf/gunicorn.conf.py isso.run",
    python="3.9",
    ask="/?uri=/x",
    health="/info",
    files={
        "isso.cfg": "[general]\ndbpath = {home}/comments.db\nhost = http://localhost:8080/\n",
        "conf/gunicorn.conf.py": "bind = '{address}:{port}'\nworkers = 2\npreload_app = True\n"
        "errorlog = '{home}/error.log'\n"
        "def on_starting(server):\n    server.log.info('on_starting of our own')\n"
        "def post_fork(server, worker):\n    server.log.info('forked %s', worker.pid)\n"
        "def worker_exit(server, worker):\n    server.log.info('exit %s', worker.pid)\n",
    },
    prepare=['{venv}/bin/python -c "import isso.run"'],
    environment={"ISSO_SETTINGS": "{home}/isso.cfg"},
)

# In CI: another shape than httpbin's, over one stage.
ISSO_AT_ONCE = ISSO._replace(stages=({"gunicorn": "23.0.0", "python": "3.11"},))

PYPISERVER = App(
    # A short time-out, an application that is a call, and a home with a blank in its name.
    "pypiserver",
    ["pypiserver", "passlib"],
    "'{venv}/bin/gunicorn' -b {address}:{port} -w 2 --timeout 5"
    " \"pypiserver:app(root='{home}/packages')\"",
    python="3.9",
    ask="/simple/",
    health="/health",
    files={"packages/README": "no package\n"},
    directory="the app",
)

KINTO = App(
    # Started by the application's own ini file.
    "kinto",
    ["kinto"],
    COMMAND + "--paste {home}/kinto.ini",
    ask="/v1/",
    health="/v1/__heartbeat__",
    files={
        "kinto.ini": "[server:main]\nuse = egg:gunicorn#main\n[app:main]\nuse = egg:kinto\n"
        "kinto.storage_backend = kinto.core.storage.memory\n"
        "kinto.cache_backend = kinto.core.cache.memory\n"
        "kinto.permission_backend = kinto.core.permission.memory\n"
        "kinto.userid_hmac_secret = x\nmultiauth.policies = basicauth\n"
    },
)

WAGTAIL = App(
    # Django that answers nobody but the names it knows, and a user of its own.
    "wagtail",
    ["wagtail<7"],
    "{venv}/bin/gunicorn --chdir site -b {address}:{port} -w 2 mysite.wsgi:application",
    # The distribution's: that user may not read everybody's.
    python="/usr/bin/python3",
    stages=({"gunicorn": "21.2.0"}, {"gunicorn": "23.0.0"}),
    health="/",
    health_host="www.example.org",
    files={
        "site/mysite_local.py": "from mysite.settings.dev import *\n"
        "DEBUG = False\nALLOWED_HOSTS = ['www.example.org', '{front}']\n"
    },
    prepare=[
        "{venv}/bin/wagtail start mysite site",
        "{venv}/bin/python site/manage.py migrate --verbosity 0",
        "{venv}/bin/python site/manage.py collectstatic --no-input --verbosity 0",
    ],
    environment={"DJANGO_SETTINGS_MODULE": "mysite_local"},
    user="www-data",
    inputs={"gate_health_headers": {"Host": "www.example.org"}},
)

DASH = App(
    # Compiled packages, pandas and numpy, over a change of Python.
    "dash",
    ["dash", "pandas<2.3", "numpy<2.3"],
    COMMAND + "--preload dashboard:server",
    health="/_dash-layout",
    files={
        "dashboard.py": "import dash, pandas\nfrom dash import html\n"
        "app = dash.Dash(__name__)\n"
        "app.layout = html.Div(str(pandas.DataFrame({'a': [1, 2]}).sum()))\n"
        "server = app.server\n"
    },
)

MLFLOW = App(
    # Caps gunicorn below 22: a further stage on this Python cannot be, and the plan says so.
    "mlflow",
    ["mlflow==2.9.2"],
    COMMAND + "mlflow.server:app",
    python="3.9",
    stages=({"gunicorn": "21.2.0"},),
    health="/health",
    environment={
        "_MLFLOW_SERVER_FILE_STORE": "{home}/runs",
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "{home}/artifacts",
    },
)

PGADMIN = App(
    # Started as its documentation says: from a directory inside the virtualenv, with a file of the
    # operator's own beside the package's.
    "pgadmin4",
    ["pgadmin4==8.14"],
    "{venv}/bin/gunicorn --chdir {venv}/lib/python{python}/site-packages/pgadmin4"
    " -b {address}:{port} -w 1 --threads 8 pgAdmin4:app",
    stages=({"gunicorn": "21.2.0"},),
    ask="/misc/ping",
    # Leads who is not known to the login.
    health="/",
    health_status=302,
    files={
        "venv/lib/python{python}/site-packages/pgadmin4/config_local.py": "SERVER_MODE = True\n"
        "DATA_DIR = '{home}/data'\nLOG_FILE = '{home}/pgadmin.log'\n"
        "SQLITE_PATH = '{home}/data/pgadmin4.db'\nSESSION_DB_PATH = '{home}/data/sessions'\n"
        "STORAGE_DIR = '{home}/data/storage'\n",
        "data/README": "what pgAdmin keeps\n",
    },
    prepare=[
        "{venv}/bin/python {venv}/lib/python{python}/site-packages/pgadmin4/setup.py setup-db",
    ],
    environment={
        "PGADMIN_SETUP_EMAIL": "a@example.org",
        "PGADMIN_SETUP_PASSWORD": "planted-secret",
    },
    inputs={
        "release_carry_files": ["pgadmin4/config_local.py"],
        "gate_health_status": [302],
    },
)

FASTAPI = App(
    # An API under uvicorn's workers.
    "fastapi",
    ["fastapi", "uvicorn<0.30"],
    COMMAND + "-k uvicorn.workers.UvicornWorker api:app",
    files={
        "api.py": "import asyncio\nfrom fastapi import FastAPI\napp = FastAPI()\n"
        "@app.get('/')\nasync def root():\n    await asyncio.sleep(0.05)\n    return {'ok': True}\n"
    },
)

STARLETTE = App(
    # The same workers from the package of their own in which they are since uvicorn 0.30.
    "starlette",
    ["starlette", "uvicorn-worker", "uvicorn<0.36"],
    COMMAND + "-k uvicorn_worker.UvicornWorker api:app",
    python="3.9",
    files={
        "api.py": "import asyncio\nfrom starlette.applications import Starlette\n"
        "from starlette.responses import PlainTextResponse\nfrom starlette.routing import Route\n"
        "async def root(request):\n    await asyncio.sleep(0.05)\n"
        "    return PlainTextResponse('ok')\napp = Starlette(routes=[Route('/', root)])\n"
    },
)

GEVENT = App(
    # gevent's workers, TLS to the server, and a second program of the same virtualenv.
    "gevent",
    ["flask", "gevent"],
    COMMAND + "-k gevent --certfile {home}/c.pem --keyfile {home}/k.pem web:app",
    tls=True,
    files={
        "web.py": "import time\nfrom flask import Flask\napp = Flask(__name__)\n"
        "@app.get('/')\ndef root():\n    time.sleep(0.05)\n    return 'ok'\n",
        "beside.py": "import time\nwhile True:\n    time.sleep(1)\n",
    },
    prepare=[
        "openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=app -out c.pem -keyout k.pem",
    ],
    beside={"beside": "{venv}/bin/python {home}/beside.py"},
)

EVERY = (
    HTTPBIN,
    HTTPBIN_ON_A_SOCKET,
    IHATEMONEY,
    ISSO,
    PYPISERVER,
    KINTO,
    WAGTAIL,
    DASH,
    MLFLOW,
    PGADMIN,
    FASTAPI,
    STARLETTE,
    GEVENT,
)
