#!/bin/sh
# In every round the log of the host stalls for a moment, as on a disk that is too slow: supervisord reads nothing while
# the workers die, so that the arbiter has to wait when it logs the first death, and hears of the second one meanwhile.
round=8
echo $$ >/run/stalls.pid
supervisord=$(cat /var/run/supervisord.pid)

# What a killed worker held is not free at once. Whatever the limit ends until then shall be this.
ballast() {
    (
        for _ in 1 2 3 4 5 6 7 8 9 10 11 12; do
            sh -c 'echo 1000 >/proc/$$/oom_score_adj; (head -c 3145728 /dev/zero; exec sleep 17) | exec tail -c 3145728' \
                >/dev/null 2>&1 &
        done
    )
}

for _ in $(seq 150); do
    ballast
    sleep "$((round - $(date +%s) % round - 1))"
    kill -STOP "$supervisord"
    sleep 2.5
    kill -CONT "$supervisord"
done
