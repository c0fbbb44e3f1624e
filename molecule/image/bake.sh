#!/bin/sh
# Runs inside a container of the Containerfile's image, which is then committed: a host as it is in
# production before the upgrade. Usage: bake.sh haproxy|nginx|supervisord|systemd PYTHON (the old one, mounted from outside).
set -eu
serves=$1
python=$2

make_venv() { # make_venv DIRECTORY: with a pip that takes the right wheels (3.6 bundles 18.1)
  "$python" -m venv "$1"
  "$1/bin/python" -m pip install --quiet --no-index --find-links /srv/wheelhouse 'pip<22' wheel
}

# A host without a Python of its own is managed through the old one.
if [ ! -e /usr/bin/python3 ]; then
  ln -s "$python" /usr/bin/python3
fi

put_supervisord() {
  if [ ! -e /usr/bin/supervisord ]; then
    make_venv /opt/supervisor
    /opt/supervisor/bin/pip install --quiet --no-index --find-links /srv/wheelhouse supervisor
    mkdir -p /etc/supervisor/conf.d /var/log/supervisor
    cp /fleet/files/supervisord.conf /etc/supervisor/
  fi
  cp /fleet/files/app.conf /etc/supervisor/conf.d/
}

put_systemd() { # process 1; what else the image has must not start with it, nor anything in the middle of a run
  cp /fleet/files/app.service /etc/systemd/system/
  systemctl --quiet set-default multi-user.target
  systemctl --quiet enable app.service ssh.service
  systemctl --quiet mask haproxy.service nginx.service supervisor.service \
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer
}

case $serves in
  haproxy) cp /fleet/files/haproxy.cfg /etc/haproxy/fleet.cfg && exit ;;
  nginx) rm /etc/nginx/sites-enabled/default && cp /fleet/files/nginx.conf /etc/nginx/conf.d/app.conf && exit ;;
  supervisord | systemd) "put_$serves" ;;
esac

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
