-- Data as stages read it. $1 entry, $2 profile. Columns: arm, seed, stage, dataset, source, fingerprint, origin, facts (JSON).
SELECT c.arm, c.seed, c.stage, d.dataset, d.source, d.fingerprint, d.origin, d.facts
FROM chains c JOIN datasets d USING (stage_id) WHERE c.entry = $1 AND c.profile = $2
ORDER BY c.arm_position, c.seed, c.position, d.attempt, d.dataset
