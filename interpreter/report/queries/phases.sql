-- Phases of the fits of an entry. $1 entry, $2 profile.
SELECT p.arm, p.seed, p.stage, p.phase, p.began, p.ended, p.epochs, p.groups, p.trainable, p.tensors, p.parameters, p.restored, p.ended_by,
       p.monitor, p.best, p.best_epoch
FROM phases p WHERE p.entry = $1 AND p.profile = $2 AND p.epochs > 0
ORDER BY p.arm_position, p.seed, p.position, p.began, p.phase
