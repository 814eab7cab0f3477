function e(n,t){let r=n.slice(0,12);return n.length>12&&r.push(t(n.length-12)),r.join(", ")}export{e as a};
