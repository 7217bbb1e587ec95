-- Every stage of every trial, as it stands. $1 entry, $2 profile.
SELECT c.arm, c.seed, c.stage, s.key, s.kind, s.seed AS stage_seed, s.state, s.epochs, s.planned_epochs, s.ended, s.error,
       (SELECT count(*)::INTEGER FROM attempts a WHERE a.stage_id = s.stage_id) AS attempts,
       a.threads, a.device, a.precision, a.tf32, v.python, v.torch, v.lightning, v.timm, v.numpy, v.git_commit
FROM chains c JOIN stages s USING (stage_id)
LEFT JOIN attempts a ON a.stage_id = s.stage_id AND a.attempt = s.attempt
LEFT JOIN environments v USING (environment_id)
WHERE c.entry = $1 AND c.profile = $2 ORDER BY c.arm_position, c.seed, c.position
