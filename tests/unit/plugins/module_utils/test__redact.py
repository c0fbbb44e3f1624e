# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What must go and what must stay, and that no text takes longer than its length."""

import time

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._activation.evidence import digest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.facts import Incident
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.requirements import (
    redact as redact_urls,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._redact import redact
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.launch import log_tail

PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEhunter2\nhunter2==\n-----END RSA PRIVATE KEY-----"
# In each of them hunter2 is the secret, whole or in part.
SECRET = [
    # Python as it is written and as it is printed.
    "{'password': b'hunter2'}",
    "{'password': u\"hunter2\", 'x': 1}",
    "connect(user='a', password='hunter2')",
    "connect(user='a', passwd=\"it's hunter2\")",
    "Settings(password=SecretStr('hunter2'))",
    "Settings(api_key=Secret(value='a', more=('b', 'hunter2')))",
    "password=['hunter2']",
    "password=['a', 'hunter2']",
    "password=('a', b'hunter2')",
    'password="""a "quoted" hunter2"""',
    "password='''a\nhunter2'''",
    "DB_PASSWORD = os.environ['X'] or 'hunter2'",
    "PASSWORD = 'hun' + 'hunter2'",
    "settings['SECRET_KEY'] = 'hunter2'",
    "password='it\\'s hunter2'",
    'password="a\\\\\\"hunter2"',
    "(b'authorization', b'Bearer hunter2')",
    "[('token', 'hunter2')]",
    "requests.get(url, auth=('bob', 'hunter2'))",
    "password='hunter2",
    "passphrase='a b hunter2'",
    # JSON, also inside JSON, and cut.
    '{"password": "it\\"hunter2"}',
    '{"password":"hunter2","a":1}',
    '{"token":{"value":"hunter2"}}',
    '{"msg": "{\\"password\\": \\"hunter2\\", \\"a\\": 1}"}',
    '{"msg": "{\\\\\\"api_key\\\\\\": \\\\\\"hunter2\\\\\\"}"}',
    '{"pass": "hunter2"}',
    '{"client_secret": "hunter2',
    # YAML and files of settings.
    "password: hunter2",
    "password: \n hunter2",
    "password: |\n  first\n  hunter2\nnext: 1",
    "secret: >-\n  hunter2\n",
    "signing_key=hunter2",
    "signing-key: 'hunter2'",
    "encryption_key: hunter2",
    "JWT_KEY=hunter2",
    "<password>hunter2</password>",
    "<entry password='hunter2'/>",
    "passwd => hunter2",
    # Environments.
    "DB_PASSWORD=hunter2 PATH=/bin",
    "PGPASSWORD=hunter2",
    "MYSQL_PWD=hunter2",
    "SMTP_PASS: hunter2",
    "SECRET_KEY_BASE=hunter2",
    "AWS_SECRET_ACCESS_KEY=hunter2",
    'declare -x API_TOKEN="a hunter2"',
    "environ({'LICENSE_KEY': 'hunter2'})",
    "HTTP_COOKIE=a=1; session=hunter2",
    "HTTP_AUTHORIZATION=Bearer hunter2",
    # Arguments.
    "--password hunter2",
    "--db-password=hunter2",
    "--pass hunter2 --port 1",
    "-password hunter2",
    "pass=hunter2",
    "curl -H 'Authorization: Basic hunter2' http://h",
    "curl -s -u bob:hunter2 http://h",
    "curl --user 'bob:hunter2' http://h",
    "mysql -u root -phunter2 db",
    "sshpass -p hunter2 ssh h",
    "pw=hunter2",
    '{"auth": "hunter2"}',
    # Headers.
    "Authorization: ApiKey hunter2",
    "Authorization: Negotiate YIIhunter2",
    'Authorization: Digest username="a", response="hunter2"',
    "authorization: Token token=hunter2",
    "Proxy-Authorization: hunter2",
    "{'Authorization': 'ApiKey hunter2'}",
    "{'authorization': 'Digest username=\"a\", response=\"hunter2\"'}",
    "Cookie: a=hunter2; session=hunter2",
    "Set-Cookie: sid=hunter2; Path=/",
    "{'Cookie': 'a=1; b=hunter2'}",
    "X-Auth: hunter2",
    "X-Auth-Token: a hunter2",
    "X-Api-Key: hunter2",
    "sent bearer aaaahunter2",
    # Addresses.
    "https://bob:hunter2@host/x",
    "https://hunter2@host/x",
    "redis://:hun/hunter2@h/0",
    "postgres://app:it's-hunter2@db/app",
    "amqp://app:p@hunter2@mq/",
    'dsn="postgresql+psycopg2://app:hunter2@db:5432/app"',
    "host=db user=app password='a hunter2' dbname=app",
    "Server=db;Uid=app;Pwd=hunter2;",
    "GET /x?api_key=hunter2&page=2",
    "GET /x?X-Amz-Signature=hunter2",
    "https://h/x?a=1&amp;access_token=hunter2",
    "password%3Dhunter2",
    "https://hooks.slack.com/services/T0/B0/hunter2",
    # Shapes.
    PEM,
    PEM.replace("\n", "\\n"),
    PEM[:50],
    "eyJhbGciOiJIUzI1.eyJzdWIiOiJodW50.hunter2",
    "ghp_0123456789012345hunter2",
    "xoxb-0123456789012345-hunter2",
    "sk_live_0123456789012345hunter2",
    # In a sentence.
    "connected with password hunter2",
    "the password is 'hunter2'",
]
PLAIN = [
    "RuntimeError: reentrant call inside <_io.BufferedWriter name='<stderr>'>",
    'File "/srv/venv/lib/python3.9/site-packages/gunicorn/arbiter.py", line 242, in handle_chld',
    "[2026-11-27 10:00:00] [7] [ERROR] Worker (pid:8) was sent SIGKILL! Perhaps out of memory?",
    "Message: 'Worker with pid %s was terminated due to signal %s'\nArguments: (123, 9)",
    "[7] [ERROR] Connection in use: ('127.0.0.1', 8000)",
    '127.0.0.1 - - [27/Nov/2026:10:00:00 +0000] "GET /a/b?page=2 HTTP/1.1" 200 5 "-" "curl"',
    '10.0.0.1 - - [27/Nov/2026:10:00:00 +0000] "POST /token HTTP/1.1" 401 5 "-" "Mozilla (X11)"',
    "token_count=5",
    "max_tokens: 4096, total_tokens=12",
    "token_type=bearer token_url=http://h/t",
    "PASSWORD_HASHERS = 3",
    "KeyError: 'password'",
    "password=None, token=null, secret: false, api_key=''",
    '{"pass": true}',
    "import secrets",
    '  File "/usr/lib/python3.11/token.py", line 3, in get',
    "boot: pass; 3 healthy answers",
    "compass=north bypass: 2",
    "http://127.0.0.1:8000/x@y and http://h/a@b",
    '{"url":"http://h:8000","mail":"a@b"}',
    "password authentication failed for user app",
    "Basic authentication failed, bearer authentication required",
    "tokenizers==0.19 tokenizer=fast cookiecutter: x",
    "PWD=/srv/app OLDPWD=/root",
    "primary_key=5 cache_key: users monkey=1",
    "author=bob authority: x auth.User",
    "secretary: Bob",
    "gunicorn -u www-data -p gunicorn.pid app:app",
    "bypass=1 pw: 3",
    "if token == expected:",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "release 23.0.0-py3.11-1a2b3c4d is built",
    "-----BEGIN CERTIFICATE-----",
]


@pytest.mark.parametrize("text", SECRET)
def test_a_secret_goes(text):
    clean = redact(text)
    assert "hunter2" not in clean
    assert "***" in clean
    # What was cleaned before it was kept is cleaned again when it is shown.
    assert redact(clean) == clean


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_none_stays(text):
    assert redact(text) == text


@pytest.mark.parametrize(
    "text, clean",
    [
        (
            "connect(user='a', password='hunter2', host='h')",
            "connect(user='a', password=***, host='h')",
        ),
        ('{"password": "x", "port": 5}', '{"password": ***, "port": 5}'),
        ('"GET /x?token=abc&page=2 HTTP/1.1" 200', '"GET /x?token=***&page=2 HTTP/1.1" 200'),
        ("Settings(api_key=SecretStr('x'), port=1)", "Settings(api_key=***, port=1)"),
        (
            "postgres://app:pw@db:5432/app?sslmode=require",
            "postgres://***@db:5432/app?sslmode=require",
        ),
        ("--password x --port 1", "--password *** --port 1"),
        ("Cookie: a=1; b=2\nnext line", "Cookie: ***\nnext line"),
        ("password: |\n  a\n  b\nport: 1", "password: |\n  ***\nport: 1"),
        ('password="x"\nworker died', "password=***\nworker died"),
        ("'password=x' is wrong", "'password=***' is wrong"),
        (f"a\n{PEM}\nb", "a\n-----BEGIN PRIVATE KEY----- ***\nb"),
    ],
)
def test_what_stands_beside_it_stays(text, clean):
    assert redact(text) == clean


def test_a_line_of_a_key_alone():
    assert redact("  | x\n" + "MIIEowIBAAKCAQEA7b" * 3 + "9f8e7d6c5b\nnext") == "  | x\n***\nnext"


# Beginnings that a careless pattern would look at again and again.
NEARLY = [
    "eyJaaaaaaaa-",
    "eyJaaaaaaaa.",
    "token",
    "token=",
    "token = ",
    'token="',
    "token='\\",
    'token="\\\\',
    "token=\\\"",
    "password=[",
    "password=[ ",
    "password=([{'",
    "password=f(b'",
    "password='''",
    'password: |\n ',
    "password=a or '",
    "password=\n ",
    "password \n ",
    "password is a1",
    "--password ",
    "--a.b-",
    "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN A ",
    "://a:",
    "://a:b@",
    "//",
    "//@",
    "?key",
    "?a=1&token",
    "&amp;",
    "Authorization: ",
    "Authorization ",
    "Bearer a",
    "Bearer aaaaaaaaaaaaaaaaaaaa",
    "cookie: a=b; ",
    "cookie=a; b=c; ",
    "sk-",
    "curl ",
    "curl -u",
    "mysql -p ",
    "sk-aaaaaaaaaaaaaaaaaaaaaa",
    "a.b-",
    "AKIA",
    "aA1/",
    "'password', ",
    "<password>",
    " ",
    "x",
    "\\",
    "'",
    "[",
]  # fmt: skip


@pytest.mark.parametrize("secret", ["password:\n  hunter2", PEM, 'x = """a\npassword=hunter2'])
def test_an_excerpt_of_several_lines(secret):
    incident = Incident("x", 0)
    incident.snippets = [line.encode() for line in secret.split("\n")]
    for shown in (incident.excerpt(), "\n".join(digest(secret)), log_tail(secret, {})):
        assert "***" in shown
        assert "hunter2" not in shown


def test_an_excerpt_is_text_only():
    incident = Incident("x", 0)
    incident.snippets = [b"a\x1b[2J\rb\xc2\x9b\xe2\x80\xae"]
    hostile = "a\x1b[2J\rb\x9b\u202e"
    shown = "a\\x1b[2J\\x0db\\x9b\\u202e"
    assert incident.excerpt() == digest(hostile)[0] == log_tail(hostile, {}) == shown


def spent(text, clean):
    best = None
    for _again in range(2):
        began = time.process_time()
        clean(text)
        took = time.process_time() - began
        best = took if best is None else min(best, took)
    return best


@pytest.mark.parametrize("piece", NEARLY)
def test_the_work_grows_with_the_text_and_no_faster(piece):
    """Four times the text: four times the work, and never the sixteen of a quadratic pattern."""
    for clean in (redact, redact_urls):
        small, large = (spent(piece * (size // len(piece)), clean) for size in (6_000, 24_000))
        assert large < 9 * small + 0.05
