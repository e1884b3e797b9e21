#!/bin/sh
# The script that `cleave sweep --slurm` prints, on a Slurm of one node that this test starts
# for itself (its own configuration, ports and folders) and ends again. Skipped without root
# and the packages slurmctld, slurmd, slurm-client and munge, which `make reproduce` installs.
. "$(dirname "$0")/tap.inc"
PATH=$PATH:/usr/sbin
skip() {
  check "a Slurm array # SKIP $1" true
  plan_end
}
for c in slurmctld slurmd sbatch munged; do
  command -v $c >/dev/null 2>&1 || skip "$c is not installed"
done
[ "$(id -u)" = 0 ] || skip 'only root can start Slurm'
host=$(hostname -s)
daemons=''
stop() {
  [ -z "$daemons" ] || kill $daemons 2>/dev/null
  wait 2>/dev/null
  rm -rf "$scratch"
}
trap stop EXIT
mkdir state spool munge
chmod 700 munge
dd if=/dev/urandom of=munge/key bs=1 count=128 2>/dev/null
chmod 600 munge/key
cat >slurm.conf <<END_CONF
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
AuthType=auth/munge
AuthInfo=socket=$scratch/munge/socket
SlurmUser=root
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SchedulerParameters=bf_interval=1,sched_interval=2
StateSaveLocation=$scratch/state
SlurmdSpoolDir=$scratch/spool
SlurmctldPidFile=$scratch/slurmctld.pid
SlurmdPidFile=$scratch/slurmd.pid
SlurmctldLogFile=$scratch/slurmctld.log
SlurmdLogFile=$scratch/slurmd.log
NodeName=$host NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=all Nodes=$host Default=YES State=UP
END_CONF
export SLURM_CONF="$scratch/slurm.conf"
chmod 755 "$scratch"
munged --foreground --force --key-file=munge/key --socket=munge/socket --pid-file=munge/pid \
  --log-file=munge/log --seed-file=munge/seed >munge.out 2>&1 &
daemons="$daemons $!"
within 10 test -S munge/socket
slurmctld -D >slurmctld.out 2>&1 &
daemons="$daemons $!"
slurmd -D -N "$host" >slurmd.out 2>&1 &
daemons="$daemons $!"
up() { sinfo -h -o %T | grep -qE 'idle|mixed'; }
within 60 up
check 'a Slurm of one node is up' up || true

cat >toy.lua <<'END_LUA'
local c = cl.config { seed = 1, lr = 0.1 }
cl.sleep(0.2)
return { loss = c.lr / c.seed }
END_LUA
go sweep --runs shared --slurm toy.lua seed=1..5 lr=0.1,0.2 -j 2
cp out job.sh
check 'its script is an array' has job.sh '#SBATCH --array=0-4'
check 'is taken by sbatch' sh -c 'sbatch --parsable job.sh >job'
finished() { [ -z "$(squeue -h)" ]; }
within 120 finished
check 'and ends' finished
check 'with every point done, once' \
  same "$(jq -r 'select(.state == "done") | .point' shared/*/run.json | sort -u | wc -l)" 10
check 'and nothing else' same "$(ls -d shared/*/ | wc -l)" 10
check 'by several elements' [ "$(ls ./*.log | grep -c sweep)" = 5 ]
check 'one of which printed the table' sh -c 'cat cleave-sweep-*.log | grep -q "mean over seeds"'
srun --ntasks=2 "$cleave" sweep --runs tasks toy.lua seed=1..5 lr=0.1,0.2 >out 2>err
check 'srun with two tasks' same "$? $(jq -r .state tasks/*/run.json | grep -c done)" '0 10'
[ "$failed" = 0 ] || tail -n 15 slurmctld.log slurmd.log munge.out munge/log job out err
plan_end
