-- Phases of training. $1 entry, $2 profile. Columns: arm, seed, stage, phase (from 0), began, ended (epochs from 1), epochs, groups (what
-- it thawed), trainable, tensors, parameters, rate, restored (epoch it went back to), ended_by, monitor, best, best_epoch.
SELECT p.arm, p.seed, p.stage, p.phase, p.began, p.ended, p.epochs, p.groups, p.trainable, p.tensors, p.parameters, p.rate, p.restored, p.ended_by,
       p.monitor, p.best, p.best_epoch
FROM phases p WHERE p.entry = $1 AND p.profile = $2
ORDER BY p.arm_position, p.seed, p.position, p.began, p.phase
