%% Expressions, not a module: evaluated inside the broker's node by rabbitmq.ts, after each start.
%% Given: File, the definitions; VHost. Gives: the names of undeclared queues that still hold messages.

{ok, Content} = file:read_file(File),
ok = rabbit_definitions:import_raw(Content),
Wanted = rabbit_json:decode(Content),
Declared = fun(Kind, Name) -> lists:member(Name, [maps:get(<<"name">>, One) || One <- maps:get(Kind, Wanted)]) end,
By = <<"parley">>,

%% An import only adds. What the plan no longer has is removed here.
[rabbit_auth_backend_internal:delete_user(User, By)
 || Entry <- rabbit_auth_backend_internal:list_users(),
    User <- [proplists:get_value(user, Entry)],
    not Declared(<<"users">>, User)],
[rabbit_vhost:delete(Name, By) || Name <- rabbit_vhost:list_names(), not Declared(<<"vhosts">>, Name)],
[rabbit_policy:delete(VHost, Name, By)
 || Policy <- rabbit_policy:list(VHost),
    Name <- [proplists:get_value(name, Policy)],
    not Declared(<<"policies">>, Name)],
[rabbit_exchange:delete(Resource, false, By)
 || [{name, {resource, _, exchange, Name} = Resource}] <- rabbit_exchange:info_all(VHost, [name]),
    Name =/= <<>>,
    binary:longest_common_prefix([Name, <<"amq.">>]) < 4,
    not Declared(<<"exchanges">>, Name)],

%% A queue that holds messages stays, out of everybody's reach: nothing that was confirmed is lost by a declaration.
Undeclared = [{Name, Queue}
              || Queue <- rabbit_amqqueue:list(VHost),
                 {resource, _, queue, Name} <- [amqqueue:get_name(Queue)],
                 amqqueue:get_exclusive_owner(Queue) =:= none,
                 not Declared(<<"queues">>, Name)],
{Empty, Full} = lists:partition(fun({_, Queue}) -> [{messages, 0}] =:= rabbit_amqqueue:info(Queue, [messages]) end, Undeclared),
[{ok, _} = rabbit_amqqueue:delete(Queue, false, false, By) || {_, Queue} <- Empty],

%% RabbitMQ 3.10 waits 5 s in vain for this handler when it stops. It only feeds the management page, which we do not have;
%% taking it away turns the statistics off that Prometheus needs, so they are turned on again.
gen_event:delete_handler(rabbit_event, rabbit_mgmt_db_handler, []),
application:set_env(rabbit, collect_statistics, coarse),
lists:join(", ", [Name || {Name, _} <- Full]).
