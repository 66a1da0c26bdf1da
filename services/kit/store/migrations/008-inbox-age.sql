-- Rows take the place of those that were forgotten, and a block range does not forget how old its oldest was: every look for what
-- is old read the whole table again.
drop index kit.inbox_age;
create index inbox_age on kit.inbox (at) where outcome = 'handled';
