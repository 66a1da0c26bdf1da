%% Expressions, not a module: evaluated inside the broker's node by rabbitmq.ts, after each start.
%% Given: File, the definitions; VHost.

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
[rabbit_exchange:delete(Resource, false, By)
 || [{name, {resource, _, exchange, Name} = Resource}] <- rabbit_exchange:info_all(VHost, [name]),
    Name =/= <<>>,
    binary:longest_common_prefix([Name, <<"amq.">>]) < 4,
    not Declared(<<"exchanges">>, Name)],

%% A queue that holds messages stays, out of everybody's reach: nothing that was confirmed is lost by a declaration. So does its
%% policy, by which tasks that wait for an attempt come back to their queue; a later start finds it empty.
Undeclared = [{Name, Queue}
              || Queue <- rabbit_amqqueue:list(VHost),
                 {resource, _, queue, Name} <- [amqqueue:get_name(Queue)],
                 amqqueue:get_exclusive_owner(Queue) =:= none,
                 not Declared(<<"queues">>, Name)],
%% What the broker shows of a queue is some seconds old; its leader knows.
Holds = fun(Queue) -> {ok, {_, Count}, _} = ra:leader_query(amqqueue:get_pid(Queue), fun rabbit_fifo:query_messages_total/1), Count end,
Kept = [begin
            rabbit_log:warning("the queue ~ts is not declared any more and holds ~b messages: it is kept, closed to all", [Name, Count]),
            Name
        end
        || {Name, Queue} <- Undeclared,
           Count <- [Holds(Queue)],
           Count > 0],
[{ok, _} = rabbit_amqqueue:delete(Queue, false, false, By) || {Name, Queue} <- Undeclared, not lists:member(Name, Kept)],
[rabbit_policy:delete(VHost, Name, By)
 || Policy <- rabbit_policy:list(VHost),
    Name <- [proplists:get_value(name, Policy)],
    not Declared(<<"policies">>, Name),
    not lists:member(Name, Kept)],

%% RabbitMQ 3.10 waits 5 s in vain for this handler when it stops. It only feeds the management page, which we do not have;
%% taking it away turns the statistics off that Prometheus needs, so they are turned on again.
gen_event:delete_handler(rabbit_event, rabbit_mgmt_db_handler, []),
application:set_env(rabbit, collect_statistics, coarse),
done.
