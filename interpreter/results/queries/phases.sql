-- Phases of training. $1 entry, $2 profile. Columns: arm, seed, stage, phase, epoch (its first, from 1), trainable, why.
SELECT c.arm, c.seed, c.stage, p.phase, p.epoch, p.trainable, p.why
FROM chains c JOIN phases p USING (stage_id) WHERE c.entry = $1 AND c.profile = $2
ORDER BY c.arm_position, c.seed, c.position, p.epoch
