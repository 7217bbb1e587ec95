-- Entries as they stand: how many of their stages are done, and what came of their claims. $1 their ids, $2 profile.
WITH asked AS (SELECT entry_id, entry, title FROM entries WHERE list_contains($1::VARCHAR[], entry) AND profile = $2),
walked AS (SELECT DISTINCT c.entry_id, s.stage_id, s.state FROM chains c JOIN asked USING (entry_id) JOIN stages s ON s.stage_id = c.stage_id)
SELECT a.entry, a.title,
       (SELECT count(*)::INTEGER FROM walked w WHERE w.entry_id = a.entry_id) AS stages,
       (SELECT count(*)::INTEGER FROM walked w WHERE w.entry_id = a.entry_id AND w.state = 'done') AS done,
       (SELECT list(v.state ORDER BY v.claim) FROM verdicts v WHERE v.entry_id = a.entry_id) AS states
FROM asked a ORDER BY a.entry
