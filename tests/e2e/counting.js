// Counts on the node at the address that is its argument, as node-redis does by default.

const { createClient } = require("redis");

async function main(address) {
  const client = createClient({ url: `redis://${address}`, name: "till" });
  client.on("error", (error) => { throw error; });
  await client.connect();
  const told = [
    await client.ping(),
    await client.incr("a"),
    await client.incrBy("a", 5),
    await client.decrBy("a", 2),
    await client.get("a"),
    await client.get("nothing"),
    await client.mGet(["a", "nothing"]),
    await client.exists("a"),
    await client.dbSize(),
    await client.keys("*"),
    await Promise.all(Array.from({ length: 1000 }, () => client.incr("b"))).then((all) => all[999]),
    await client.sendCommand(["GOSSIPD.INCRBY", "c", "2", "order 17"]),
    await client.sendCommand(["GOSSIPD.INCRBY", "c", "2", "order 17"]),
    await client.set("a", "1").catch((error) => error.message),
    await client.multi().incr("a").incr("a").exec().catch((error) => error.message),
    await client.get("a"),
    await client.clientGetName(),
  ];
  const names = [];
  for await (const found of client.scanIterator({ COUNT: 2 })) names.push(found);
  told.push(names.flat().sort());
  await client.quit();
  console.log(JSON.stringify(told));
}

main(process.argv[2]);
