import{D as t}from"./chunk-2.js?v=6adcf23503e9dd5b";function s(i,r){let e=t(i).replace(/\s+/g," ").trim(),n=Array.from(e);return n.length<=r?e:`${n.slice(0,r-1).join("")}…`}export{s as a};
