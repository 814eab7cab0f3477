import{E as t}from"./chunk-2.js?v=a9ba43b1b3faa64e";function s(i,r){let e=t(i).replace(/\s+/g," ").trim(),n=Array.from(e);return n.length<=r?e:`${n.slice(0,r-1).join("")}…`}export{s as a};
