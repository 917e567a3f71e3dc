-- For docker-compose.yml only: one account for everything. In production each service has its own, with the rights that
-- `crossfade preflight --print-grants` lists.
GRANT ALL ON crossfade.* TO crossfade@'%';
GRANT REPLICATION SLAVE, BINLOG MONITOR, PROCESS ON *.* TO crossfade@'%';
