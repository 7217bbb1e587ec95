-- What runs said about themselves. $1 entry, $2 profile. Columns: arm, seed, stage, key, attempt, epoch (from 1), code, severity, text.
SELECT c.arm, c.seed, c.stage, s.key, f.attempt, f.epoch, f.code, f.severity, f.text
FROM chains c JOIN findings f USING (stage_id) JOIN stages s USING (stage_id) WHERE c.entry = $1 AND c.profile = $2
ORDER BY c.arm_position, c.seed, c.position, f.epoch, f.code, f.text
