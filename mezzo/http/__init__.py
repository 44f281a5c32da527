"""HTTP/1.1 for all three ports: one server, its limits, and who may ask (docs/adr/0011).

limits      every bound and deadline
request     bytes to a request, strictly by RFC 9112
guard       which hosts we are, and what a browser may ask for
connection  one client: what it still owes, what it still has to read
wsgi        a request to an application and its answer back
stream      an answer without an end, pushed by whoever has news, without a thread
workers     the threads that answer
server      the port: all connections together
forward     a request handed on to another server as it came
"""
