import{E as t}from"./chunk-2.js?v=3d3673649f34c895";function s(i,r){let e=t(i).replace(/\s+/g," ").trim(),n=Array.from(e);return n.length<=r?e:`${n.slice(0,r-1).join("")}…`}export{s as a};
