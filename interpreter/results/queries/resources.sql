-- What epochs cost. $1 entry, $2 profile. Columns: arm, seed, stage, epoch (from 1), resource, value.
SELECT c.arm, c.seed, c.stage, r.epoch, r.resource, r.value
FROM chains c JOIN resources r USING (stage_id) WHERE c.entry = $1 AND c.profile = $2
ORDER BY c.arm_position, c.seed, c.position, r.epoch, r.resource
