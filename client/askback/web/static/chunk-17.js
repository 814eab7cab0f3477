import{E as t}from"./chunk-2.js?v=4f7d986249b1ddea";function s(i,r){let e=t(i).replace(/\s+/g," ").trim(),n=Array.from(e);return n.length<=r?e:`${n.slice(0,r-1).join("")}…`}export{s as a};
