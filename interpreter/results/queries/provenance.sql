-- Where numbers come from, a row an attempt. $1 entry, $2 profile. Columns: those of the view provenance from arm to fingerprints.
SELECT p.* EXCLUDE (entry, profile, position, arm_position) FROM provenance p WHERE p.entry = $1 AND p.profile = $2
ORDER BY p.arm_position, p.seed, p.position, p.attempt
