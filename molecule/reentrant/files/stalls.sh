#!/bin/sh
# In every round the log of the host stalls for a moment, as on a disk that is too slow: supervisord reads nothing while
# the workers die, so that the arbiter has to wait when it logs the first death, and hears of the second one meanwhile.
round=8
echo $$ >/run/stalls.pid
supervisord=$(cat /var/run/supervisord.pid)
for _ in $(seq 150); do
    sleep "$((round - $(date +%s) % round - 1))"
    kill -STOP "$supervisord"
    sleep 2.5
    kill -CONT "$supervisord"
done
