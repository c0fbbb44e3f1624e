#!/bin/sh
# Runs inside a container of the Containerfile's image, which is then committed: a host as it is in
# production before the upgrade. Usage: bake.sh lb|web PYTHON (the old one, mounted from outside).
set -eu
role=$1
python=$2

make_venv() { # make_venv DIRECTORY: with a pip that takes the right wheels (3.6 bundles 18.1)
  "$python" -m venv "$1"
  "$1/bin/python" -m pip install --quiet --no-index --find-links /srv/wheelhouse 'pip<22' wheel
}

# A host without a Python of its own is managed through the old one.
if [ ! -e /usr/bin/python3 ]; then
  ln -s "$python" /usr/bin/python3
fi

if [ "$role" = lb ]; then
  cp /fleet/files/haproxy.cfg /etc/haproxy/fleet.cfg
  exit
fi

if [ ! -e /usr/bin/supervisord ]; then
  make_venv /opt/supervisor
  /opt/supervisor/bin/pip install --quiet --no-index --find-links /srv/wheelhouse supervisor
  mkdir -p /etc/supervisor/conf.d /var/log/supervisor
  cp /fleet/files/supervisord.conf /etc/supervisor/
fi
cp /fleet/files/app.conf /etc/supervisor/conf.d/

useradd --system --user-group --home-dir /srv/app --shell /usr/sbin/nologin app
install --directory --owner=app --group=app /srv/app /var/log/app
install --owner=app --group=app --mode=0644 /fleet-app/* /srv/app/
umask 022
make_venv /srv/app/venv
/srv/app/venv/bin/pip install --quiet --no-index --find-links /srv/wheelhouse --requirement /srv/app/requirements.txt
chown -R app:app /srv/app
# The app makes its files here, and cannot exchange what is root's (docs/security.md).
chown root:app /srv/app
chmod 1775 /srv/app
